"""The ledger held against what the nodes have stored."""
