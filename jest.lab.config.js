'use strict'

/** The lab: needs root, network namespaces and tools such as nft and wrk. One file at a time. */
module.exports = {
  ...require('./jest.config'),
  testMatch: ['<rootDir>/test/lab/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
  maxWorkers: 1,
  testSequencer: './jest.lab.sequencer.js',
  testTimeout: 300_000,
  globals: { DEADLINE_MS: 120_000 },
}
