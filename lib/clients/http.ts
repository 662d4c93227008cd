/** `socket-tuner/http`: http.Agent and https.Agent that reuse, open and close connections with care. */
export { TunedAgent } from './http/agent'
export { TunedHttpsAgent } from './http/https-agent'
export type { TunedAgentOptions, TunedHttpsAgentOptions } from './http/options'
export type { AgentCounters } from './http/pool'
