"""How heavily is the crypto derivatives market loaded, and where would it break?"""
