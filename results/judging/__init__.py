"""How checks are judged: while a run goes on, and from its timeline and ledger afterwards."""
