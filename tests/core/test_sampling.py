"""Lambda's sampling of active tracing: one a second, and five of a hundred beyond."""

from lambent.core.sampling import Reservoir


def test_the_first_invocation_of_each_second_is_sampled():
    """Of each function, whatever the die says."""
    reservoir = Reservoir()
    for second in (7, 8, 10):
        assert reservoir.sample("a", second, 0.99)
        assert reservoir.sample("b", second, 0.99)
        assert not reservoir.sample("a", second, 0.99)


def test_of_the_others_five_of_a_hundred_are():
    """By the die."""
    reservoir = Reservoir()
    reservoir.sample("a", 1, 0.5)
    assert sum(reservoir.sample("a", 1, roll / 1000) for roll in range(1000)) == 50


def test_nothing_is_remembered_of_a_second_that_is_over():
    """Functions come and go."""
    reservoir = Reservoir()
    for number in range(100):
        reservoir.sample(f"f{number}", number, 0.5)
    assert reservoir._served == {"f99"}
