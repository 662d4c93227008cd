import { createRequire } from 'node:module'
import net from 'node:net'
import { SocketTunerError, getOption, listen, optionNames } from 'socket-tuner'
import { portBudget } from 'socket-tuner/ports'
import { TunedAgent, TunedHttpsAgent } from 'socket-tuner/http'
import { tunedConnector } from 'socket-tuner/undici'
import { tunedAutocannon } from 'socket-tuner/autocannon'
import { Plugin } from 'socket-tuner/artillery'
import { registerMetrics } from 'socket-tuner/metrics'
import { stress } from 'socket-tuner/stress'

// require and import must share one copy of the state.
if (createRequire(import.meta.url)('socket-tuner').SocketTunerError !== SocketTunerError) {
  throw new Error('import and require give two copies')
}
// The clients of the adapters are optional, so entries that need none of them must load.
const entries = {
  TunedAgent,
  TunedHttpsAgent,
  tunedConnector,
  tunedAutocannon,
  Plugin,
  registerMetrics,
  stress,
}
for (const [name, entry] of Object.entries(entries)) {
  if (typeof entry !== 'function') throw new Error(`${name} is not there`)
}
const server = net.createServer()
await listen(server, { host: '127.0.0.1', settings: { TCP_KEEPIDLE: 77 } })
if (getOption(server, 'TCP_KEEPIDLE') !== 77) throw new Error('TCP_KEEPIDLE was not set')
const { available } = await portBudget({
  remoteAddress: '127.0.0.1',
  remotePort: server.address().port,
})
if (!(available > 0)) throw new Error(`${available} ports are left`)
server.close()
console.log('import', process.version, optionNames.length, 'options')
