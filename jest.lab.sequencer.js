'use strict'

const { basename } = require('node:path')
const { default: Sequencer } = require('@jest/test-sequencer')

/** The longest first, so that the last one is not alone. */
const LONGEST = [
  'soak',
  'growth',
  'budget',
  'artillery',
  'prefork',
  'undici',
  'early-answer',
  'nothing-lost',
  'doctor',
  'keep-alive-race',
  'autocannon',
]

/** Jest's own knows how long a file took the last time, which on a clean clone is not at all. */
module.exports = class LabSequencer extends Sequencer {
  sort(tests) {
    const rank = ({ path }) => {
      const index = LONGEST.indexOf(basename(path, '.test.ts'))
      return index === -1 ? LONGEST.length : index
    }
    return super.sort(tests).toSorted((a, b) => rank(a) - rank(b))
  }
}
