'use strict'

/** Answers requests about TIME_WAIT entries and other sockets of its namespace. */
const { destroyTimeWait, countSockets, timeWaitCount } = require('../../../dist/ports')
const { ready } = require('./parent')

ready(
  {},
  {
    census: (options) =>
      countSockets({
        states: ['TIME_WAIT'],
        groupBy: ['remoteAddress', 'remotePort'],
        ...options,
      }),
    count: () => timeWaitCount(),
    destroy: (filter) => destroyTimeWait(filter, { iAcceptDelayedSegments: true }),
  },
)
