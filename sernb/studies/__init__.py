"""Studies: what to run to answer one question, and tables from what was run; one module a question, no drawing."""
