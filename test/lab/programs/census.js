'use strict'

/** Answers each question about the TIME_WAIT entries, and other sockets, of its namespace. */
const { destroyTimeWait, timeWaitCensus, timeWaitCount } = require('../../../dist')
const { ready } = require('./parent')

ready(
  {},
  {
    census: (options) => timeWaitCensus(options),
    count: () => timeWaitCount(),
    destroy: (filter) => destroyTimeWait(filter, { iAcceptDelayedSegments: true }),
  },
)
