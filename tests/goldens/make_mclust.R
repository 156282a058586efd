# What mclust makes of hard partitions, for mclust.json:
#
#     Rscript tests/goldens/make_mclust.R > tests/goldens/mclust.json
#
# EM runs from each partition until the log-likelihood changes by less than 1e-13 of itself. The
# data stand in the file, for scikit-learn's iris is not R's.

suppressPackageStartupMessages(library(mclust))

tight <- emControl(eps = 0, tol = c(1e-13, 1e-10), itmax = c(100000, 100000))
multivariate <- c("EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV",
                  "VEV", "EVV", "VVV")

numbers <- function(x) paste0("[", paste(sprintf("%.15g", x), collapse = ", "), "]")
quoted <- function(x) paste0("\"", x, "\"")

of_model <- function(name, data, labels) {
  fit <- me(data = data, modelName = name, z = unmap(labels), control = tight)
  d <- ncol(data)
  k <- max(labels)
  count <- nMclustParams(name, d, k)
  bic <- bic(name, fit$loglik, nrow(data), d, k)
  if (!is.finite(fit$loglik)) return(NULL)
  sprintf("      %s: {\"log_likelihood\": %.15g, \"n_parameters\": %d, \"bic\": %.15g}",
          quoted(name), fit$loglik, as.integer(count), bic)
}

of_data <- function(name, data, labels, models) {
  data <- as.matrix(data)
  fits <- unlist(lapply(models, of_model, data, labels))
  rows <- paste0("      ", apply(data, 1, numbers), collapse = ",\n")
  paste0("  ", quoted(name), ": {\n    \"X\": [\n", rows, "\n    ],\n    \"labels\": ",
         numbers(labels - 1), ",\n    \"models\": {\n", paste(fits, collapse = ",\n"),
         "\n    }\n  }")
}

data(diabetes)
data(acidity)
everything <- c(
  of_data("iris", iris[, 1:4], as.integer(iris$Species), multivariate),
  of_data("faithful", faithful, 1 + (faithful$eruptions > 3), multivariate),
  of_data("diabetes", diabetes[, -1], as.integer(factor(diabetes$class)), multivariate),
  of_data("acidity", acidity, 1 + (acidity > median(acidity)), c("E", "V"))
)
cat("{\n  \"mclust\": ", quoted(as.character(packageVersion("mclust"))), ",\n",
    paste(everything, collapse = ",\n"), "\n}\n", sep = "")
