"""A flow that does nothing, of whose one run test_histories.py makes as many as it needs."""

from metaflow import FlowSpec, step


class HistoryFlow(FlowSpec):
    @step
    def start(self):
        self.dolt = {"actions": {}, "configs": {}}
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    HistoryFlow()
