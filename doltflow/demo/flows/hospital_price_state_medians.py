"""The median price of every hospital procedure in every state.

    python hospital_price_state_medians.py run

Reads `prices` and `hospitals` from one Dolt database and writes `state_procedure_medians` to another. Every read is
pinned to one commit, the write becomes a commit, and both are recorded: `doltflow trace state_procedure_medians`.
"""

from metaflow import FlowSpec, Parameter, Run, step

from doltflow import DoltConfig, DoltDT


class HospitalPriceStateMedians(FlowSpec):
    """Computes the median price by state and procedure code."""

    hospital_price_db = Parameter(
        "hospital-price-db",
        help="Path to the Dolt database of hospitals and their prices",
        default="hospital-price-transparency",
    )
    hospital_price_db_branch = Parameter(
        "hospital-price-db-branch",
        help="Branch of hospital-price-db to read",
        default="main",
    )
    hospital_price_analysis_db = Parameter(
        "hospital-price-analysis-db",
        help="Path to the Dolt database of the results",
        default="hospital-price-analysis",
    )
    hospital_price_analysis_db_branch = Parameter(
        "hospital-price-analysis-db-branch",
        help="Branch of hospital-price-analysis-db to write",
        default="main",
    )
    historical_run_path = Parameter(
        "historical-run-path",
        help="Read the same data as an earlier run, like HospitalPriceStateMedians/1617810636925188",
        default=None,
    )

    @step
    def start(self) -> None:
        """Reads the prices, computes the medians and writes them."""
        audit = Run(self.historical_run_path).data.dolt if self.historical_run_path else None

        price_config = DoltConfig(database=self.hospital_price_db, branch=self.hospital_price_db_branch)
        with DoltDT(run=self, config=price_config, audit=audit) as dolt:
            prices = dolt.read("prices", columns=["npi_number", "code", "price"])
            hospitals = dolt.read("hospitals", columns=["npi_number", "state"])

        # Prices are exact decimals, of which `float` gives the nearest number. One that is missing does not count;
        # where a state has none at all, the median is NULL.
        prices_by_state = prices.astype({"price": float}).merge(hospitals, on="npi_number")
        medians = prices_by_state.groupby(["state", "code"], as_index=False)["price"].median()

        analysis_config = DoltConfig(
            database=self.hospital_price_analysis_db, branch=self.hospital_price_analysis_db_branch
        )
        with DoltDT(run=self, config=analysis_config) as dolt:
            dolt.write(medians, "state_procedure_medians", pks=["state", "code"])

        self.next(self.end)

    @step
    def end(self) -> None:
        """Every Metaflow flow ends here."""


if __name__ == "__main__":
    HospitalPriceStateMedians()
