'use strict'

const unit = require('./jest.config')

/**
 * Tests whose outcome does not depend on Node's release: of types, of tables, of text and numbers that are worked
 * out from others, and of native parts that know no Node-API. .ci/run tries them on Node 20, .ci/full on all.
 */
const OF_ANY_RELEASE = [
  'types/',
  'native/answers',
  'options/catalogue',
  'properties/rollback',
  'doctor/(facts|rules)',
  'nearest',
  'spec',
  'cli/(options|screen|stress-panel|sysctl-file|top-render)',
  'ports/(alarm|forecast|latest-feed|port-map|rates|reading-pace|time-wait-reuse)',
  'kernel/(addresses|layouts)',
]

/** The part of the unit suite that can fail on one release of Node and pass on another. */
module.exports = {
  ...unit,
  testPathIgnorePatterns: [
    ...unit.testPathIgnorePatterns,
    `<rootDir>/test/(${OF_ANY_RELEASE.join('|')})`,
  ],
}
