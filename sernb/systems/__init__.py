"""Systems: published recipes as records, with how their authors split, chose and scored, and what they reported."""
