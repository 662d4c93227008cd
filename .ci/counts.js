'use strict'

/** Prints how many tests of a Jest result file passed, failed and were skipped. */
const { readFileSync } = require('node:fs')

const result = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const failed = result.numFailedTests + result.numRuntimeErrorTestSuites
console.log(result.numPassedTests, failed, result.numPendingTests + result.numTodoTests)
