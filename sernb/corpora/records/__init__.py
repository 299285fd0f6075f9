"""One record per corpus: citation, licence, file names, labels, published counts and folds."""
