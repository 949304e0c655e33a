"""Values sent for a layer, split by filters or by examples: where they are equal. What layers really send is tested in tests/parallel."""

import pytest

from course_lib.formulas.layer_traffic import batch_split, even_batch, filters_split


@pytest.mark.parametrize("n", [2, 3, 8])
@pytest.mark.parametrize(("parameters", "inputs", "outputs"), [(885_120, 43_264, 64_896), (16_781_312, 4096, 4096)])
def test_both_send_the_same_at_the_even_batch(n, parameters, inputs, outputs):
    batch = even_batch(parameters, inputs, outputs)
    assert filters_split(inputs, outputs, batch=batch, n=n) == pytest.approx(batch_split(parameters, n=n))
    assert filters_split(inputs, outputs, batch=batch / 2, n=n) < batch_split(parameters, n=n)


def test_one_rank_sends_nothing():
    assert filters_split(3, 4, batch=5, n=1) == batch_split(7, n=1) == 0
