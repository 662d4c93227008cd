/** `socket-tuner/http`: http.Agent and https.Agent that reuse, open and close connections with care. */
export { TunedAgent } from './http/agent'
export { TunedHttpsAgent } from './http/https-agent'
export type { WarmDestination } from './http/destination'
export type { TunedAgentOptions, TunedHttpsAgentOptions } from './http/agent-options'
export type { ReuseCounters } from './sockets/reuse'
