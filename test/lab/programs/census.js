'use strict'

/** Answers each question with a census of its namespace. */
const { timeWaitCensus, timeWaitCount } = require('../../../dist')
const { ready } = require('./parent')

ready({}, { census: (options) => timeWaitCensus(options), count: () => timeWaitCount() })
