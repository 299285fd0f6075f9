"""Learning algorithms: training of networks, ridge regression, support vector machines, inner cross-validation."""
