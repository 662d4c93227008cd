'use strict'

/**
 * How much each proof tries. test/sizes.json is the one table: PROOFS in the environment names its column,
 * `quick` (the default), `ci` (.ci/run) or `full` (.ci/full), and a variable of a row's name replaces its
 * number. `node test/helpers/size.js NAME` prints one.
 */
const sizes = require('../sizes.json')

/** Throws on a name, a column or a number that is none. */
function size(name) {
  const column = process.env.PROOFS ?? 'quick'
  const number = Number(process.env[name] ?? sizes[name]?.[column])
  if (!Number.isSafeInteger(number) || number <= 0) {
    throw new Error(`no size of ${name} for PROOFS=${column}, ${name}=${process.env[name]}`)
  }
  return number
}

module.exports = { size }

if (require.main === module) console.log(size(process.argv[2]))
