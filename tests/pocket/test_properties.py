"""The facts of pocket's concepts: complete, and in agreement with its taxonomy and with each other."""

from scipy.stats import spearmanr

from taxbench.datasets.dataset import load_dataset

DATASET = load_dataset("pocket")
TABLE = DATASET.properties.columns


def test_sizes_and_weights_are_known_of_every_leaf_and_go_together() -> None:
    length, mass = (dict(TABLE[name].values) for name in ("length_cm", "mass_kg"))
    assert set(length) == set(mass) == set(DATASET.taxonomy.leaves)
    leaves = sorted(length)
    assert spearmanr([length[leaf] for leaf in leaves], [mass[leaf] for leaf in leaves]).statistic > 0.9  # type: ignore[arg-type]
    for leaf in leaves:  # as a cube of that length, nothing is denser than steel or lighter than a sock
        assert 1e-6 < mass[leaf] * 1000 / length[leaf] ** 3 < 8, leaf  # type: ignore[operator]


def test_facts_agree_with_hypernyms() -> None:
    for leaf, hypernyms in DATASET.taxonomy.hypernyms_of.items():
        animal, food = "animal" in hypernyms, bool({"fruit", "vegetable"} & set(hypernyms))
        known = {name: column.values.get(leaf) for name, column in TABLE.items()}
        assert known["alive"] is (True if animal else None if food else False), leaf
        assert known["man_made"] is (not animal and not food), leaf
        assert known["moves_by_itself"] is True or not animal, leaf
        assert known["edible"] is food or animal, leaf
        assert known["edible"] is not True or food, leaf
        assert (known["material"] is None) or not (animal or food), leaf
        assert known["can_fly"] is not True or leaf in ("airplane", "helicopter") or animal, leaf
