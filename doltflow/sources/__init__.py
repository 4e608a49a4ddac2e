"""The outside programs: Dolt and Metaflow, one module for each."""
