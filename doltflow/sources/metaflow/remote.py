"""The decorator that brings a rerun's pins to steps that run on other machines.

A rerun gets it as `--with doltflow.sources.metaflow.remote.pins:key=…`: what `--with` adds Metaflow hands on to
Kubernetes, Batch and whatever else runs a step, while the environment of this machine does not travel. Only the key is
on the command line, whose length is limited; the pins are in the datastore, which remote steps share. doltflow itself
is packed with the flow then, so that the machine there has the version that knows these pins.

It costs a run of four local steps 0.15 s, most of it for the packing. So a flow whose steps are known to stay here does
without: its code is what it was, and it has no decorators but those of Metaflow's that send nothing away. Should that
ever be wrong, `DoltDT` finds the run tagged as a rerun, and no pins, and raises.
"""

import sys
from typing import Any

from metaflow import UserStepDecorator

from doltflow.errors import RecordError
from doltflow.sources.metaflow.carried import SCHEME, carry, drop, pins_file

# Metaflow packs the module of a decorator; alone it would be a doltflow without the rest.
vars(sys.modules[__name__.partition(".")[0]])["METAFLOW_PACKAGE_POLICY"] = "include"


class pins(UserStepDecorator):  # type: ignore[misc]
    """Gives a step the pins that its rerun has kept in Metaflow's datastore, where the environment does not."""

    def init(self, *args: Any, **kwargs: Any) -> None:
        """Takes the `key`."""
        self._key = str(kwargs.get("key", ""))

    def pre_step(self, step_name: str, flow: Any, inputs: Any = None) -> None:
        """Takes the pins out of the datastore before the step begins.

        Raises:
            RecordError: They are not there. The step must not go on as if there were none.
        """
        file = pins_file()
        if file is not None and file.is_file():
            return
        key = self._key.removeprefix(SCHEME)
        try:
            found = dict(flow._datastore._ca_store.load_blobs([key]))
            carry(bytes(found[key]).decode("utf-8"))
        except Exception as error:  # Whatever a storage raises for what is not there.
            raise RecordError(
                f"The step `{step_name}` belongs to a rerun, and its pins ({key}) are not in Metaflow's datastore: "
                f"{type(error).__name__}: {error}.",
                "Does the rerun use the datastore of the run that it repeats?",
            ) from error

    def post_step(self, step_name: str, flow: Any, exception: Exception | None = None) -> Exception | None:
        """Leaves everything to the step: what it raised, and how it goes on."""
        drop()
        return exception
