"""A computational graph by hand: the price of two apples and three oranges, and its derivatives.

Apples cost 100, oranges 150, and a tax of 10 % comes on top.  Forward gives the price; backward
gives, for each number that went in, how much the price changes with it.
"""

from fastbp.layers import AddLayer, MulLayer


def two_apples():
    """The price of two apples, and its derivatives."""
    fruit, tax = MulLayer(), MulLayer()
    price = tax.forward(fruit.forward(100, 2), 1.1)

    d_fruit, d_tax = tax.backward(1)
    d_apple, d_apples = fruit.backward(d_fruit)
    return price, {"price of an apple": d_apple, "apples": d_apples, "tax": d_tax}


def two_apples_and_three_oranges():
    """The price of both fruits, and its derivatives."""
    apples, oranges, fruit, tax = MulLayer(), MulLayer(), AddLayer(), MulLayer()
    price = tax.forward(fruit.forward(apples.forward(100, 2), oranges.forward(150, 3)), 1.1)

    d_fruit, d_tax = tax.backward(1)
    d_apples_cost, d_oranges_cost = fruit.backward(d_fruit)
    d_apple, d_apples = apples.backward(d_apples_cost)
    d_orange, d_oranges = oranges.backward(d_oranges_cost)
    return price, {
        "price of an apple": d_apple,
        "apples": d_apples,
        "price of an orange": d_orange,
        "oranges": d_oranges,
        "tax": d_tax,
    }


def main():
    for purchase in (two_apples, two_apples_and_three_oranges):
        price, derivatives = purchase()
        print(f"{purchase.__name__.replace('_', ' ')}: {price:g}")
        for name, derivative in derivatives.items():
            print(f"  by {name:<20}{derivative:>6g}")


if __name__ == "__main__":
    main()
