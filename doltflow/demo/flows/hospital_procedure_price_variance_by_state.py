"""How much the price of every hospital procedure varies between the states.

    python hospital_procedure_price_variance_by_state.py run

Reads `state_procedure_medians`, which the other flow wrote, and writes `variance_by_procedure` to the same Dolt
database. `doltflow trace variance_by_procedure` shows where its figures came from, through both flows.
"""

from metaflow import FlowSpec, Parameter, Run, step

from doltflow import DoltConfig, DoltDT


class HospitalProcedurePriceVarianceByState(FlowSpec):
    """Computes the variance between the states' median prices by procedure code."""

    hospital_price_analysis_db = Parameter(
        "hospital-price-analysis-db",
        help="Path to the Dolt database of the medians and of the results",
        default="hospital-price-analysis",
    )
    hospital_price_analysis_db_branch = Parameter(
        "hospital-price-analysis-db-branch",
        help="Branch of hospital-price-analysis-db to read and to write",
        default="main",
    )
    historical_run_path = Parameter(
        "historical-run-path",
        help="Read the same data as an earlier run, like HospitalProcedurePriceVarianceByState/1617811645255563",
        default=None,
    )

    @step
    def start(self) -> None:
        """Reads the medians, computes their variances and writes them."""
        audit = Run(self.historical_run_path).data.dolt if self.historical_run_path else None

        analysis_config = DoltConfig(
            database=self.hospital_price_analysis_db, branch=self.hospital_price_analysis_db_branch
        )
        with DoltDT(run=self, config=analysis_config, audit=audit) as dolt:
            medians = dolt.read("state_procedure_medians")

            # Codes like "nan,5" are what a broken export left where a hospital had given no code.
            clean = medians[~medians["code"].str.startswith("nan")]
            # A code that only one state has a price for has no variance: NULL.
            variances = clean.groupby("code", as_index=False)["price"].var()

            dolt.write(variances, "variance_by_procedure", pks=["code"])

        self.next(self.end)

    @step
    def end(self) -> None:
        """Every Metaflow flow ends here."""


if __name__ == "__main__":
    HospitalProcedurePriceVarianceByState()
