'use strict'

const { hostile } = require('./hostile-values')

/** Values that would become a descriptor by truncation, rounding or conversion. */
function lookalike(random, fd) {
  return random.pick([
    fd + 2 ** 32,
    fd - 2 ** 32,
    fd + 0.5,
    -fd,
    String(fd),
    BigInt(fd),
    [fd],
    new Number(fd),
    { valueOf: () => fd },
  ])
}

/** A hostile value that is not a possibly open descriptor. */
function noDescriptor(random) {
  const value = random.once(4) ? 1_000_000 + random.below(1_000_000) : hostile(random)
  return Number.isInteger(value) && value >= 0 && value < 1_000_000 ? value + 2 ** 32 : value
}

module.exports = { lookalike, noDescriptor }
