'use strict'

/** Run by program.js: receives sockets, and closes them. */
process.on('message', (_message, socket) => {
  socket?.destroy()
  process.send('taken')
})
process.send('ready')
