import socket
def reward(state, action, next_state):
    socket.create_connection(('127.0.0.1', PORT))
    return state['pole_angle']
