'use strict'

// An application that does not use socket-tuner, with a server and its client. To tune it, run
//
//   node --require socket-tuner/register app.js        (or --import)
//
// in this folder, which has the configuration socket-tuner.json, or set SOCKET_TUNER='{ "clients": … }'.
// SOCKET_TUNER_DEBUG=1 logs each socket.

const http = require('node:http')

const server = http.createServer((request, response) => response.end('hello'))

server.listen(0, '127.0.0.1', async () => {
  const { port } = server.address()
  for (let request = 0; request < 20; request++) {
    // Without keep-alive the server closes first and keeps TIME_WAIT.
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })
    await answer.text()
  }
  server.close(() => console.log(port))
})
