"""The second flow of the founding document, in both of its forms: with a run to read again, and with its audit."""

from metaflow import FlowSpec, Parameter, Run, step

from doltflow import DoltConfig, DoltDT


class VariancesFlow(FlowSpec):
    hospital_price_analysis_db = Parameter("hospital-price-analysis-db", default="analysis-db")
    hospital_price_analysis_db_branch = Parameter("hospital-price-analysis-db-branch", default="main")
    historical_run_path = Parameter("historical-run-path", default=None)
    form = Parameter("form", default="run")

    @step
    def start(self):
        analysis_conf = DoltConfig(
            database=self.hospital_price_analysis_db, branch=self.hospital_price_analysis_db_branch
        )
        if self.form == "run":
            context = DoltDT(run=self.historical_run_path or self, config=analysis_conf)
        else:
            audit = Run(self.historical_run_path).data.dolt if self.historical_run_path else None
            context = DoltDT(run=self, config=analysis_conf, audit=audit)
        with context as dolt:
            median_price_by_state = dolt.read("state_procedure_medians")
            clean = median_price_by_state[~median_price_by_state["code"].str.startswith("nan")]
            variance_by_procedure = clean.drop(columns="state").groupby("code").var()
            dolt.write(variance_by_procedure, "variance_by_procedure")
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    VariancesFlow()
