'use strict'

/** The unit suite: runs for any user, on loopback only. */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '<rootDir>/test/lab/'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, sourceMaps: 'inline' },
    ],
  },
  // Jest itself would leave one processor idle: of two, half.
  maxWorkers: '100%',
  testTimeout: 30_000,
  globals: { DEADLINE_MS: 25_000 },
}
