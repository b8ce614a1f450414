"""Which object belongs where in a house, by common sense; objects in three disjoint splits.

No word of an object occurs in an object of another split, no word of a place occurs in any object,
and within a place no word is part of a word of another split: so neither a table of words nor the
spelling shows where an unseen object belongs, only knowledge does.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Split: TypeAlias = Literal["train", "validation", "test"]


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


_BELONGINGS: dict[str, tuple[str, str, str]] = {
    # place: train, validation, test
    "bathroom cabinet": (
        "shampoo, toothpaste, dental floss, mouthwash, shaving foam, deodorant, cotton swabs, "
        "conditioner, nail clippers, eye drops, body lotion, aftershave",
        "mascara, sunscreen, tweezers, bandages",
        "razor, soap, moisturizer, hairbrush",
    ),
    "bookshelf": (
        "novel, encyclopedia, atlas, dictionary, poetry anthology, biography, travel guide, "
        "thesaurus, history volume, photo album, comic omnibus, memoir",
        "paperback, short stories, almanac, fairy tales",
        "thriller, bible, trilogy, essays",
    ),
    "bread box": (
        "baguette, croissant, ciabatta, rye loaf, pita, dinner rolls, brioche, focaccia, "
        "hamburger buns, naan, crumpets, toast slices",
        "bagel, sourdough, challah, tortillas",
        "pumpernickel, muffin, pretzel, scone",
    ),
    "cutlery drawer": (
        "fork, teaspoon, butter knife, soup spoon, steak knife, paring knife, oyster fork, "
        "spatula, salad tongs, cheese slicer, potato peeler, whisk",
        "pie server, corkscrew, pizza cutter, garlic press",
        "ladle, chopsticks, bottle opener, melon baller",
    ),
    "desk drawer": (
        "stapler, paper clips, ballpoint pen, eraser, ruler, sticky notes, envelope, glue stick, "
        "pencil sharpener, fountain pen, highlighter, postage stamps",
        "correction fluid, rubber bands, hole punch, calculator",
        "thumbtacks, ink cartridge, permanent marker, protractor",
    ),
    "fridge": (
        "milk, yogurt, raw chicken, cheddar, leftover stew, ham, sour cream, fresh salmon, "
        "minced beef, margarine, cottage cheese, whipped cream",
        "eggs, bacon, mozzarella, tofu",
        "sausages, mayonnaise, pork chops, shrimp",
    ),
    "fruit bowl": (
        "apple, banana, orange, pear, peach, grapes, plum, lemon, nectarine, tangerine, "
        "pomegranate, apricot",
        "kiwi, mango, cherries, lime",
        "papaya, clementine, figs, guava",
    ),
    "garden shed": (
        "lawn mower, rake, wheelbarrow, shovel, hedge trimmer, hose pipe, flower pots, "
        "fertilizer, pruning shears, seed packets, compost sieve, pitchfork",
        "leaf blower, trowel, weed killer, spade",
        "pesticide, hoe, sprinkler, potting soil",
    ),
    "jewelry box": (
        "gold ring, pearl necklace, earrings, silver bracelet, diamond pendant, brooch, "
        "cufflinks, charm bracelet, emerald ring, locket, tiara, ruby earrings",
        "bangle, choker, anklet, cameo",
        "wristwatch, amethyst, gemstone, medallion",
    ),
    "music room": (
        "violin, trumpet, flute, acoustic guitar, grand piano, drum kit, clarinet, cello, "
        "saxophone, harp, viola, trombone",
        "banjo, ukulele, accordion, tambourine",
        "oboe, mandolin, tuba, bassoon",
    ),
    "sewing basket": (
        "thread spool, needle, thimble, pin cushion, dress pattern, safety pins, lace trim, "
        "buttons, zipper, embroidery hoop, knitting yarn, bobbin",
        "crochet hook, seam ripper, sequins, tailor chalk",
        "patchwork squares, satin ribbon, snap fasteners, skein",
    ),
    "shoe rack": (
        "sneakers, sandals, loafers, hiking boots, high heels, clogs, slippers, rain boots, "
        "ballet flats, cowboy boots, trainers, espadrilles",
        "flip-flops, moccasins, galoshes, stilettos",
        "brogues, wellingtons, soccer cleats, platform wedges",
    ),
    "spice rack": (
        "cinnamon, paprika, black pepper, oregano, ground cumin, turmeric, nutmeg, curry powder, "
        "dried thyme, saffron, bay leaves, ginger powder",
        "chili flakes, cloves, rosemary, cardamom",
        "basil, coriander, vanilla pods, cayenne",
    ),
    "toolbox": (
        "hammer, screwdriver, pliers, adjustable wrench, drill bits, steel nails, spirit level, "
        "hacksaw, allen key, wood chisel, tape measure, sandpaper",
        "mallet, wire stripper, bolts, crowbar",
        "spanner, ratchet, soldering iron, clamp",
    ),
    "toy chest": (
        "teddy bear, doll, building blocks, marbles, spinning top, jigsaw puzzle, plush rabbit, "
        "train set, kite, stuffed elephant, rocking horse, water pistol",
        "yo-yo, puppet, dinosaur figure, skipping rope",
        "rattle, frisbee, model airplane, pinwheel",
    ),
    "trash can": (
        "rotten tomato, chewed gum, empty wrapper, used tissue, broken glass, cigarette butt, "
        "fish bones, crumpled receipt, burnt match, dirty diaper, coffee grounds, popped balloon",
        "greasy napkin, shattered mug, onion skins, wilted bouquet",
        "melon rind, expired coupon, soggy teabag, eggshells",
    ),
    "wardrobe": (
        "winter coat, silk dress, wool sweater, jeans, blouse, business suit, cardigan, raincoat, "
        "pleated skirt, leather jacket, polo shirt, dress pants",
        "tuxedo, hoodie, trousers, evening gown",
        "blazer, kimono, parka, turtleneck",
    ),
}

PLACES: tuple[str, ...] = tuple(_BELONGINGS)
"""Every place a house may have, in alphabetical order."""

OBJECTS: dict[Split, dict[str, tuple[str, ...]]] = {
    "train": {place: _listed(row[0]) for place, row in _BELONGINGS.items()},
    "validation": {place: _listed(row[1]) for place, row in _BELONGINGS.items()},
    "test": {place: _listed(row[2]) for place, row in _BELONGINGS.items()},
}
"""Split to place to the objects that belong there."""

HOME: dict[str, str] = {
    name: place
    for belongings in OBJECTS.values()
    for place, names in belongings.items()
    for name in names
}
"""Object, of any split, to the place where it belongs."""
