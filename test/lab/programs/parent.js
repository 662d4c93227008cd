'use strict'

/** The channel between a program of the lab and the test that started it. */
const { takeCoverage } = require('node:v8')

/** The configuration that the test passed. */
exports.config = JSON.parse(process.argv[2] ?? '{}')

/** Reports that the program is ready, and answers requests from now on. */
exports.ready = (about, own) => {
  const questions = { takeCoverage: () => takeCoverage(), ...own }
  process.on('message', async ({ id, question, detail }) => {
    try {
      process.send({ id, result: await questions[question](detail) })
    } catch (error) {
      process.send({ id, error: error.stack })
    }
  })
  process.on('disconnect', () => process.exit())
  process.send({ result: about })
}

/** The codes of the process warnings so far. */
exports.warnings = []
process.on('warning', ({ code }) => exports.warnings.push(code))

/** Adds one to the count under a key. */
exports.count = (counts, key) => {
  counts[key] = (counts[key] ?? 0) + 1
}
