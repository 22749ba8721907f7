"""Small letters for pictures made of pixels: the printable characters of ASCII, 5 pixels wide and 8 high."""

import numpy as np

COLUMNS = bytes.fromhex(
    "000000000000005F00000007000700147F147F14242A7F2A12231308646236495620500008070300001C2241000041221C00"
    "2A1C7F1C2A08083E080800807030000808080808000060600020100804023E5149453E00427F400072494949462141494D33"
    "1814127F1027454545393C4A49493141211109073649494936464949291E0000140000004034000000081422411414141414"
    "004122140802015909063E415D594E7C1211127C7F494949363E414141227F4141413E7F494949417F090909013E41415173"
    "7F0808087F00417F41002040413F017F081422417F404040407F021C027F7F0408107F3E4141413E7F090909063E4151215E"
    "7F09192946264949493203017F01033F4040403F1F2040201F3F4038403F631408146303047804036159494D43007F414141"
    "0204081020004141417F04020102044040404040000307080020545478407F284444383844444428384444287F3854545418"
    "00087E090218A4A49C787F0804047800447D40002040403D007F1028440000417F40007C047804787C080404783844444438"
    "FC1824241818242418FC7C08040408485454542404043F44243C4040207C1C2040201C3C4030403C44281028444C9090907C"
    "4464544C440008364100000077000000413608000201020402"
)
"""Five columns for each character from the space on, the lowest bit at the top: the font of many small displays."""

WIDTH, HEIGHT = 6, 8
"""The pixels that a letter takes, with the gap to the next one."""


def letters(text: str) -> np.ndarray:
    """A line of text as booleans [8, 6 * letters], true where there is ink; what is not ASCII is a question mark.

    >>> for row in letters("Hi")[:7]:
    ...     print("".join(".#"[int(ink)] for ink in row))
    #...#...#...
    #...#.......
    #...#..##...
    #####...#...
    #...#...#...
    #...#...#...
    #...#..###..
    """
    ink = np.zeros((HEIGHT, WIDTH * len(text)), bool)
    for place, character in enumerate(text):
        number = (ord(character) if " " <= character <= "~" else ord("?")) - ord(" ")
        columns = np.frombuffer(COLUMNS, np.uint8, 5, 5 * number)
        ink[:, WIDTH * place : WIDTH * place + 5] = (columns[None] >> np.arange(HEIGHT)[:, None]) & 1
    return ink
