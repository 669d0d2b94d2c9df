"""The agent's door as gateways call it: a raw protocol client, one kept connection to each environment.

`connections`  one connection, one exchange at a time, callbacks as the answer arrives
`doors`        one environment's door: dial, state, claim, invoke, drain
`failures`     what can go wrong between here and the agent

aiohttp's client costs more than the rest of a warm request together (measured: 0.78 against 0.63 ms in all), so
this room speaks `lambent.agent.protocol.http1` over bare transports.
"""
