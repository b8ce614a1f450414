def features(state):
    return {
        'position_of_the_car_along_the_x_axis': state['position_of_the_car_along_the_x_axis'],
        'velocity_of_the_car': state['velocity_of_the_car']
    }
