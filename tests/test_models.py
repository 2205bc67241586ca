import numpy as np
import pytest

from mnist_helpers import models


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


def test_the_dense_network_is_the_articles():
    model = models.build_mlp()
    assert kinds(model) == ["Dense", "Dropout", "Dense", "Dropout", "Dense"]
    assert [layer.count_params() for layer in model.layers] == [401_920, 0, 262_656, 0, 5_130]
    assert model.count_params() == 669_706
    assert [layer.rate for layer in model.layers if hasattr(layer, "rate")] == [0.2, 0.2]


def test_the_convolutional_network_is_the_articles():
    model = models.build_cnn()
    assert kinds(model) == [
        *("Conv2D", "MaxPooling2D", "Conv2D", "MaxPooling2D"),
        *("Dropout", "Flatten", "Dense", "Dense", "Dense"),
    ]
    params = [layer.count_params() for layer in model.layers if layer.count_params()]
    assert params == [780, 4_065, 48_128, 6_450, 510]
    assert model.count_params() == 59_933


@pytest.mark.parametrize(
    ("model", "shape"), [(models.build_mlp, (3, 784)), (models.build_cnn, (3, 28, 28, 1))]
)
def test_answers_are_probabilities_and_the_model_is_not_compiled(model, shape):
    model = model()
    answers = np.asarray(model(np.random.default_rng(0).random(shape, dtype="float32")))
    assert answers.shape == (3, 10)
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)
    assert not model.compiled


def test_the_variants_of_the_second_article_are_within_reach():
    one_dense = models.build_cnn(dense_units=[128])
    assert kinds(one_dense).count("Dense") == 2
    deeper = models.build_cnn([8, 8, 8], [3, 3, 3])
    assert kinds(deeper).count("Conv2D") == 3
    assert [layer.filters for layer in models.build_cnn([7, 9]).layers if kinds_of(layer)] == [7, 9]


def kinds_of(layer):
    return type(layer).__name__ == "Conv2D"


@pytest.mark.parametrize(
    ("place", "n_dropout", "before_flatten"),
    [("after_convolutions", 1, True), ("after_dense", 2, False), ("both", 3, True)],
)
def test_dropout_goes_where_it_is_told(place, n_dropout, before_flatten):
    order = kinds(models.build_cnn(dropout_place=place))
    assert order.count("Dropout") == n_dropout
    assert ("Dropout" in order[: order.index("Flatten")]) == before_flatten


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: models.build_mlp([]), "`hidden_units`"),
        (lambda: models.build_mlp([512, 0]), r"received \[512, 0\]"),
        (lambda: models.build_mlp([5.0]), "whole numbers"),
        (lambda: models.build_mlp(dropout=1), "`dropout`"),
        (lambda: models.build_cnn([30]), "equally long"),
        (lambda: models.build_cnn(dense_units=[True]), "`dense_units`"),
        (lambda: models.build_cnn(dropout_place="nowhere"), "after_dense"),
        (lambda: models.build_cnn([8] * 4, [5] * 4), "leave nothing"),
    ],
)
def test_impossible_designs_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_what_is_just_possible_is_built():
    assert models.build_cnn([4, 4, 4], [5, 5, 3]).output_shape == (None, 10)
