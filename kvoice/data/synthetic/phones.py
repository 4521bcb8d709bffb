"""The phones of the built-in corpus `demo`, and the transcriptions of its sentences.

Names are those of ARPAbet, with AX for schwa. The formants are a man's (`Voice.formant_scale` = 1),
rounded from Peterson & Barney 1952 and Hillenbrand et al. 1995 (vowels) and Klatt 1980 (loci).
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Phone:
    """The articulation of one phone.

    Args:
        kind: "vowel", "glide", "nasal", "fricative", "stop", "affricate" or "silence".
        ms: Duration in unstressed, neutral reading, in ms.
        formants_hz: F1, F2 and F3, in Hz; of a consonant, the locus of its transitions.
        to_hz: The same at the end of a diphthong; () = `formants_hz`.
        hold: Resistance of F2 and F3 of a consonant to coarticulation with the vowels around it;
            1 = full, 0 = none.
        voice: Amplitude of voicing relative to a vowel.
        noise: Amplitude of the noise at the constriction.
        centre_hz, width_hz: Centre and width of the spectrum of that noise, in Hz.
        open_share: Share of the duration after which a stop is open; until then it is closed.
    """

    kind: str
    ms: float
    formants_hz: tuple = (500, 1500, 2500)
    to_hz: tuple = ()
    hold: float = 1.0
    voice: float = 1.0
    noise: float = 0.0
    centre_hz: float = 0.0
    width_hz: float = 1.0
    open_share: float = 0.0


def _vowel(ms, *formants_hz, to=()):
    return Phone("vowel", ms, formants_hz, to)


def _glide(ms, *formants_hz, hold):
    return Phone("glide", ms, formants_hz, hold=hold, voice=0.65)


def _nasal(ms, *formants_hz, hold):
    return Phone("nasal", ms, formants_hz, hold=hold, voice=0.35)


def _fricative(ms, *formants_hz, hold, voice=0.0, noise, at):
    return Phone(
        "fricative",
        ms,
        formants_hz,
        hold=hold,
        voice=voice,
        noise=noise,
        centre_hz=at[0],
        width_hz=at[1],
    )


def _stop(ms, *formants_hz, hold, voice=0.0, noise, at, opens, kind="stop"):
    return Phone(
        kind,
        ms,
        formants_hz,
        hold=hold,
        voice=voice,
        noise=noise,
        centre_hz=at[0],
        width_hz=at[1],
        open_share=opens,
    )


INVENTORY = {
    "sil": Phone("silence", 120, hold=0.0, voice=0.0),
    # vowels
    "IY": _vowel(90, 290, 2250, 2950),
    "IH": _vowel(65, 400, 1920, 2560),
    "EH": _vowel(75, 560, 1780, 2500),
    "AE": _vowel(105, 680, 1700, 2430),
    "AA": _vowel(105, 740, 1150, 2480),
    "AO": _vowel(105, 590, 900, 2480),
    "UH": _vowel(65, 450, 1080, 2300),
    "UW": _vowel(90, 320, 1000, 2250),
    "AH": _vowel(75, 630, 1220, 2480),
    "AX": _vowel(45, 490, 1420, 2450),
    "ER": _vowel(90, 470, 1300, 1690),
    # diphthongs
    "EY": _vowel(115, 490, 1880, 2520, to=(330, 2200, 2800)),
    "OW": _vowel(115, 530, 1050, 2400, to=(380, 850, 2350)),
    "AY": _vowel(135, 730, 1200, 2480, to=(370, 2050, 2620)),
    "AW": _vowel(135, 740, 1350, 2450, to=(430, 920, 2350)),
    "OY": _vowel(145, 540, 880, 2450, to=(370, 2020, 2600)),
    # glides
    "W": _glide(55, 300, 680, 2250, hold=0.9),
    "Y": _glide(50, 280, 2220, 2980, hold=0.9),
    "R": _glide(60, 340, 1120, 1520, hold=0.85),
    "L": _glide(55, 350, 1080, 2750, hold=0.75),
    # nasals
    "M": _nasal(60, 270, 950, 2200, hold=0.55),
    "N": _nasal(55, 270, 1600, 2550, hold=0.7),
    "NG": _nasal(65, 270, 2050, 2550, hold=0.5),
    # fricatives
    "F": _fricative(85, 330, 1050, 2200, hold=0.6, noise=0.10, at=(7500, 5000)),
    "TH": _fricative(85, 330, 1350, 2600, hold=0.7, noise=0.08, at=(7000, 3500)),
    "S": _fricative(90, 330, 1600, 2600, hold=0.75, noise=0.55, at=(6300, 1300)),
    "SH": _fricative(95, 310, 1900, 2600, hold=0.85, noise=0.60, at=(3100, 900)),
    "HH": _fricative(50, 500, 1500, 2500, hold=0.0, noise=0.0, at=(1500, 1500)),
    "V": _fricative(50, 310, 1050, 2200, hold=0.6, voice=0.4, noise=0.04, at=(7500, 5000)),
    "DH": _fricative(40, 310, 1350, 2600, hold=0.7, voice=0.45, noise=0.03, at=(7000, 3500)),
    "Z": _fricative(65, 310, 1600, 2600, hold=0.75, voice=0.3, noise=0.28, at=(6300, 1300)),
    "ZH": _fricative(65, 300, 1900, 2600, hold=0.85, voice=0.3, noise=0.28, at=(3100, 900)),
    # stops: closed, then a burst, then breath until the voice sets in
    "P": _stop(90, 320, 900, 2200, hold=0.55, noise=0.20, at=(900, 1200), opens=0.55),
    "T": _stop(90, 320, 1750, 2650, hold=0.7, noise=0.60, at=(4400, 1600), opens=0.5),
    "K": _stop(95, 320, 1950, 2350, hold=0.4, noise=0.45, at=(1900, 800), opens=0.5),
    "B": _stop(60, 260, 900, 2200, hold=0.55, voice=0.18, noise=0.12, at=(800, 1000), opens=0.8),
    "D": _stop(55, 260, 1750, 2650, hold=0.7, voice=0.18, noise=0.30, at=(4200, 1600), opens=0.75),
    "G": _stop(60, 260, 1950, 2350, hold=0.4, voice=0.18, noise=0.25, at=(1900, 800), opens=0.75),
    "CH": _stop(
        115, 310, 1850, 2600, hold=0.85, noise=0.60, at=(3200, 900), opens=0.4, kind="affricate"
    ),
    "JH": _stop(
        85,
        300,
        1850,
        2600,
        hold=0.85,
        voice=0.18,
        noise=0.35,
        at=(3200, 900),
        opens=0.45,
        kind="affricate",
    ),
}

PHONES = tuple(INVENTORY)

# "1" marks a vowel that carries a pitch accent.
_TRANSCRIPTIONS = {
    "The kids are talking by the kitchen door.": "DH AX K IH1 D Z AX R T AO1 K IH NG B AY DH AX K IH1 CH AX N D AO1 R",
    "She sold seven silver shells by the sea shore.": "SH IY S OW1 L D S EH1 V AX N S IH1 L V ER SH EH1 L Z B AY DH AX S IY1 SH AO1 R",
    "My mother never knew the name of that man.": "M AY M AH1 DH ER N EH1 V ER N UW1 DH AX N EY1 M AX V DH AE T M AE1 N",
    "We will meet you at the old railway station.": "W IY W IH L M IY1 T Y UW AE T DH IY OW1 L D R EY1 L W EY S T EY1 SH AX N",
    "The yellow leaves are falling on the lawn again.": "DH AX Y EH1 L OW L IY1 V Z AX R F AO1 L IH NG AA N DH AX L AO1 N AX G EH1 N",
    "Please bring the heavy boxes back to the house.": "P L IY1 Z B R IH NG DH AX HH EH1 V IY B AA1 K S IH Z B AE1 K T UW DH AX HH AW1 S",
    "I heard the rain on the window all night long.": "AY HH ER1 D DH AX R EY1 N AA N DH AX W IH1 N D OW AO1 L N AY1 T L AO1 NG",
    "Nobody told me that the train would be late.": "N OW1 B AA D IY T OW1 L D M IY DH AE T DH AX T R EY1 N W UH D B IY L EY1 T",
    "The little boy enjoys his toys in the garden.": "DH AX L IH1 T AX L B OY1 IH N JH OY1 Z HH IH Z T OY1 Z IH N DH AX G AA1 R D AX N",
    "Thirty thin fish swam through the cold water.": "TH ER1 D IY TH IH1 N F IH1 SH S W AE1 M TH R UW DH AX K OW1 L D W AO1 T ER",
    "You should have called before you came to visit.": "Y UW SH UH D HH AX V K AO1 L D B IH F AO1 R Y UW K EY1 M T UW V IH1 Z IH T",
    "A good book is always better than a bad movie.": "AX G UH1 D B UH1 K IH Z AO1 L W EY Z B EH1 T ER DH AX N AX B AE1 D M UW1 V IY",
    "The baker makes fresh bread early every morning.": "DH AX B EY1 K ER M EY1 K S F R EH1 SH B R EH1 D ER1 L IY EH V R IY M AO1 R N IH NG",
    "Leave the green paper on the table near the chair.": "L IY1 V DH AX G R IY1 N P EY1 P ER AA N DH AX T EY1 B AX L N IH R DH AX CH EH1 R",
    "They are going to move to a new town in June.": "DH EY AX R G OW1 IH NG T UW M UW1 V T UW AX N UW1 T AW1 N IH N JH UW1 N",
    "Our dog was running around the big oak tree.": "AW R D AO1 G W AX Z R AH1 N IH NG AX R AW1 N D DH AX B IH1 G OW1 K T R IY1",
    "Where did you find those beautiful brown shoes?": "W EH1 R D IH D Y UW F AY1 N D DH OW Z B Y UW1 T IH F AX L B R AW1 N SH UW1 Z",
    "He usually measures the value of a thing twice.": "HH IY Y UW1 ZH UW AX L IY M EH1 ZH ER Z DH AX V AE1 L Y UW AX V AX TH IH1 NG T W AY1 S",
    "Some people say that the weather will change soon.": "S AH M P IY1 P AX L S EY1 DH AE T DH AX W EH1 DH ER W IH L CH EY1 N JH S UW1 N",
    "I was looking for a quiet place to read.": "AY W AX Z L UH1 K IH NG F AO R AX K W AY1 AX T P L EY1 S T UW R IY1 D",
    "Her voice was louder than the noise of the crowd.": "HH ER V OY1 S W AX Z L AW1 D ER DH AX N DH AX N OY1 Z AX V DH AX K R AW1 D",
    "Do not forget to lock the front door tonight.": "D UW N AA1 T F ER G EH1 T T UW L AA1 K DH AX F R AH1 N T D AO1 R T AX N AY1 T",
    "The young woman laughed and waved her hand.": "DH AX Y AH1 NG W UH1 M AX N L AE1 F T AX N D W EY1 V D HH ER HH AE1 N D",
    "Nine good runners wanted to win the long race.": "N AY1 N G UH1 D R AH1 N ER Z W AO1 N T IH D T UW W IH1 N DH AX L AO1 NG R EY1 S",
}

SENTENCES = {text: tuple(phones.split()) for text, phones in _TRANSCRIPTIONS.items()}
