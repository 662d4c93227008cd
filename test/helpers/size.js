'use strict'

/**
 * The sizes of the proofs, from test/sizes.json. The environment variable PROOFS selects the column: `quick` (the
 * default), `ci` (.ci/run) or `full` (.ci/full). A variable with the name of a row overrides its number.
 * `node test/helpers/size.js NAME` prints one size.
 */
const sizes = require('../sizes.json')

/** Throws for an unknown name or column, and for an invalid number. */
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
