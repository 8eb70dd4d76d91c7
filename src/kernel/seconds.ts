// Which times a column can hold: epoch seconds as uint32, and 0 is a clock gone wrong.

export const secondsMin = 1;
export const secondsMax = 2 ** 32 - 1;
