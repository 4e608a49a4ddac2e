"""Reads in batches: two at once, with other reads and a write meanwhile; whole, in part and not at all."""

from metaflow import FlowSpec, step

from doltflow import DoltConfig, DoltDT


class BatchesFlow(FlowSpec):
    @step
    def start(self):
        with DoltDT(run=self, config=DoltConfig(database="numbers")) as dolt:
            one = dolt.read("source", as_key="one", as_="arrow", batches=True)
            two = dolt.read("source", as_key="two", where="v > 15", columns=["v"], as_="arrow", batches=True)
            query = dolt.sql("select v from source order by id", "query", as_="arrow", batches=True)
            first = two.read_next_batch().to_pylist()
            self.other = len(dolt.read("source", as_key="other"))
            dolt.write(dolt.read("source", as_="arrow"), "copied", pks=["id"])
            rest = [row for reader in (two, one, query) for batch in reader for row in batch.to_pylist()]
            self.rows = [row["v"] for row in first + rest]
            self.half = dolt.read("source", as_key="half", where="v > 5", as_="arrow", batches=True).schema.names
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    BatchesFlow()
