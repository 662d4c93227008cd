'use strict'

// An application that knows nothing of socket-tuner: a server, and a client of it. To run it tuned:
//
//   node --require socket-tuner/register app.js        (or --import)
//
// in this folder, where socket-tuner.json says what to do; or with SOCKET_TUNER='{ "clients": … }'.
// SOCKET_TUNER_DEBUG=1 tells of each socket.

const http = require('node:http')

const server = http.createServer((request, response) => response.end('hello'))

server.listen(0, '127.0.0.1', async () => {
  const { port } = server.address()
  for (let request = 0; request < 20; request++) {
    // Without keep-alive: the server closes first, and TIME_WAIT is its own.
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })
    await answer.text()
  }
  server.close(() => console.log(port))
})
