"""A flow of a usual size, for the figures of reruns: medians of prices by state and code, and their variances."""

from metaflow import FlowSpec, Parameter, step

from doltflow import DoltConfig, DoltDT


class MediansFlow(FlowSpec):
    """Reads `prices`, and writes two tables to `analysis`."""

    rows = Parameter("rows", default=1_000_000)

    @step
    def start(self):
        """The medians."""
        with DoltDT(run=self, config=DoltConfig(database="prices")) as dolt:
            prices = dolt.sql(f"select state, code, price from prices where id < {self.rows}", "prices")
        medians = prices.groupby(["state", "code"], as_index=False)["price"].median()
        with DoltDT(run=self, config=DoltConfig(database="analysis")) as dolt:
            dolt.write(medians, "medians", pks=["state", "code"])
        self.next(self.end)

    @step
    def end(self):
        """Their variance."""
        with DoltDT(run=self, config=DoltConfig(database="analysis")) as dolt:
            medians = dolt.read("medians")
            variances = medians.groupby("code", as_index=False)["price"].var()
            dolt.write(variances.dropna(), "variances", pks=["code"])


if __name__ == "__main__":
    MediansFlow()
