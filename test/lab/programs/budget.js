'use strict'

/** Answers each request with a port budget of its namespace, or with the first reports of a watch. */
const { portBudget, watchPorts } = require('../../../dist/ports')
const { ready } = require('./parent')

async function watch({ count, ...options }) {
  const reports = []
  for await (const report of watchPorts(options)) {
    reports.push(report)
    if (reports.length === count) return reports
  }
}

ready({}, { budget: (options) => portBudget(options), watch })
