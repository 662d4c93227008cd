import { createRequire } from 'node:module'
import net from 'node:net'
import { SocketOptionError, getOption, optionNames, setOption } from 'socket-tuner'

// One copy of the state, whichever way it is loaded.
if (createRequire(import.meta.url)('socket-tuner').SocketOptionError !== SocketOptionError) {
  throw new Error('import and require give two copies')
}
const server = net.createServer()
server.listen(0, '127.0.0.1', () => {
  setOption(server, 'TCP_KEEPIDLE', 77)
  if (getOption(server, 'TCP_KEEPIDLE') !== 77) throw new Error('TCP_KEEPIDLE was not set')
  server.close()
  console.log('import', process.version, optionNames.length, 'options')
})
