def features(state):
    """
    Returns a dictionary of named numbers, which the agent sees beside the state.
    The agent sees beside the state as follows:
    'value': whole number, from 0 up to 143, 0 means You stand on a frozen lake at row 0, column 0 of 12x12. Next to you: left: the edge, down: ice, right: ice, up: the edge.
    The goal is 11 rows down and 11 columns right. The ice is not slippery.
    """
    # Example features
    return {
        "row": state["value"] // 12,
        "column": state["value"] % 12,
        "ice": True  # Assuming the goal is ice
    }

# Example usage
state = {
    "value": 143  # Example value to represent the goal
}
print(features(state))
