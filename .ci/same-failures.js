'use strict'

/**
 * same-failures EXPECTED ACTUAL FEWEST: compares two result files of Jest. Fails if a test failed in ACTUAL that passed
 * in EXPECTED, or if fewer than FEWEST tests passed, which would prove nothing.
 */
const { readFileSync } = require('node:fs')

const [expected, actual] = process.argv.slice(2, 4).map((file) => JSON.parse(readFileSync(file)))
const fewest = Number(process.argv[4])

function failuresOf({ testResults }) {
  const failures = new Map()
  for (const { name, message, assertionResults } of testResults) {
    if (assertionResults.length === 0) failures.set(name, message)
    for (const { status, fullName, failureMessages } of assertionResults) {
      if (status === 'failed') failures.set(`${name} ${fullName}`, failureMessages.join('\n'))
    }
  }
  return failures
}

const known = failuresOf(expected)
const failures = failuresOf(actual)
const unknown = [...failures].filter(([name]) => !known.has(name))
for (const [name, message] of unknown) console.error(`${name}\n${message}\n`)
const passed = actual.numPassedTests
console.log(
  `${passed} passed, ${failures.size} failed, ${failures.size - unknown.length} of them expected`,
)
process.exitCode = unknown.length === 0 && passed >= fewest ? 0 : 1
