"""The published parameters: what is read from the files that carry them."""

import io

import numpy as np
import pytest

from photopeak.exporters.live_parameters import HIGH, LOW, brisque_model, niqe_model
from photopeak.kernels.iqa.models import BrisqueModel, NiqeModel, resolve

LIBSVM = """svm_type epsilon_svr
kernel_type rbf
gamma 0.05
nr_class 2
total_sv 2
rho -3.5
SV
-1024 1:-0.5 36:0.25
12.5 2:1
"""


def test_a_regression_is_read_from_a_file_of_libsvm():
    model = brisque_model(LIBSVM)
    vectors = np.zeros((2, 36))
    vectors[0, [0, 35]], vectors[1, 1] = (-0.5, 0.25), 1
    np.testing.assert_array_equal(model.vectors, vectors)
    np.testing.assert_array_equal(model.weights, [-1024, 12.5])
    assert (model.gamma, model.intercept) == (0.05, 3.5)


def test_other_machines_are_refused():
    with pytest.raises(ValueError, match="not a regression"):
        brisque_model(LIBSVM.replace("epsilon_svr", "c_svc"))


def test_shipped_models_come_from_this_script():
    live, _ = resolve("live", BrisqueModel)
    np.testing.assert_array_equal(live.low, np.array(LOW.split(), float))
    np.testing.assert_array_equal(live.high, np.array(HIGH.split(), float))
    live, _ = resolve("live", NiqeModel)
    file = io.BytesIO()
    np.savez(file, mu_pris_param=live.mean[np.newaxis], cov_pris_param=live.covariance)
    assert niqe_model(file.getvalue()).digest == live.digest
