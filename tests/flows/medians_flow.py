"""The first flow of the founding document, shortened: nothing but the import is doltflow's own."""

from metaflow import FlowSpec, Parameter, Run, step

from doltflow import DoltConfig, DoltDT


class MediansFlow(FlowSpec):
    hospital_price_db = Parameter("hospital-price-db", default="prices-db")
    hospital_price_analysis_db = Parameter("hospital-price-analysis-db", default="analysis-db")
    hospital_price_analysis_db_branch = Parameter("hospital-price-analysis-db-branch", default="main")
    historical_run_path = Parameter("historical-run-path", default=None)

    @step
    def start(self):
        audit = Run(self.historical_run_path).data.dolt if self.historical_run_path else None

        prices_conf = DoltConfig(database=self.hospital_price_db)
        with DoltDT(run=self, config=prices_conf, audit=audit) as dolt:
            prices = dolt.read("prices")
            hospitals = dolt.sql("SELECT npi_number, state FROM hospitals WHERE state IS NOT NULL", as_key="states")
        median = prices.merge(hospitals, on="npi_number").groupby(["state", "code"])[["price"]].median()

        analysis_conf = DoltConfig(
            database=self.hospital_price_analysis_db, branch=self.hospital_price_analysis_db_branch
        )
        with DoltDT(run=self, config=analysis_conf) as dolt:
            dolt.write(median, "state_procedure_medians")
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    MediansFlow()
