"""Studies: experiments and tables for one question per module; figures are drawn by `sernb.figures`."""
