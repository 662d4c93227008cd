'use strict'

/** Exits by itself although it watches its ports. */
const { watchPorts } = require('../../dist/ports')

const watch = watchPorts({ destinations: [{ remoteAddress: '127.0.0.1', remotePort: 9 }] })
void watch[Symbol.asyncIterator]()
  .next()
  .then(() => console.log('looked'))
